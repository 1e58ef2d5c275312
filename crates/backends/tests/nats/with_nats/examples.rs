use super::support::{config, started_durable};
use crate::example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() {
    let server = started_durable().await;
    example::run(config(&server)).await.expect("it ends by itself");
}

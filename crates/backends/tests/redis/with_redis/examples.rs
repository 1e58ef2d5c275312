use super::support::{config, started};
use crate::example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() {
    let server = started(&[]).await;
    example::run(config(&server)).await.expect("it ends by itself");
}

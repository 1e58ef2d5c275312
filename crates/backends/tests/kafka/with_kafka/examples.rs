use super::pool;
use crate::example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() {
    let mut node = tokio::task::spawn_blocking(pool::borrow).await.expect("a node is there");
    example::run(node.config()).await.expect("it ends by itself");
}

mod feed;
mod total;

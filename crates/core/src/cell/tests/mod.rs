mod cell;
mod history;
mod map;
mod property;

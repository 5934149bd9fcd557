//! The `nbgate` command.

fn main() {}

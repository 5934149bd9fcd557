//! The endpoint against peers that are a few datagrams each, under a clock that the test moves.

//! The driver against scripted dialogues: bring-up and its failures, carrying datagrams, restarts, status.

mod bench;
mod bring_up;
mod online;
mod properties;
mod transcripts;

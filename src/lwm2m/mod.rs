//! The LwM2M client: resource tree, native objects, codecs, registration, management and reporting.

pub mod attributes;
mod books;
pub mod client;
pub mod codecs;
pub mod downlink;
pub mod held;
mod lost;
pub mod management;
pub mod model;
pub mod objects;
pub mod path;
pub mod registration;
pub mod reporting;
pub mod tree;
pub mod value;

pub use client::Client;
pub use codecs::{CodecError, Format};
pub use model::Model;
pub use path::{Path, PathError};
pub use value::{Content, Entry, SampleId, Value, ValueType};

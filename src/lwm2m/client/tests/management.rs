//! Read, Discover, Write and Execute, and what they are refused for.

//! Where each sample ends: reported, superseded or pending.

//! Between MQTT topics and LwM2M resources, both ways.

pub mod message;

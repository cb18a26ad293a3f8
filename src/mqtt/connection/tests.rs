//! What MQTT 5 says over the wire that a real broker cannot be made to say.

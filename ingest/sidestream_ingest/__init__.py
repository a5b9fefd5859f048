"""Takes frames from MQTT into the database, once each, and acknowledges what is committed."""

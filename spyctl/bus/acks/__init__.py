"""How events are acknowledged: per message, or by JetStream's batches."""

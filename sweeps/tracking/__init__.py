"""The MLflow side: copying records into a store, and what a store holds."""

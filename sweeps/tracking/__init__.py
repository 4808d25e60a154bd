"""MLflow tracking: copy records to an MLflow store and query what it holds."""

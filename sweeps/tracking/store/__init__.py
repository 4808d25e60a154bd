"""MLflow stores: URIs, the runs folder's own database, artifact locations, the UI."""

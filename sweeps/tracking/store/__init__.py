"""MLflow stores: tracking URIs, the runs folder's own database, artifact locations and the UI."""

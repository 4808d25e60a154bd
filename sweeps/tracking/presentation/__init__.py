"""How sweeps and trials look in the MLflow UI: descriptions, data sets, models, saved views."""

"""Networks with their weights at work: features, predictions and deployments."""

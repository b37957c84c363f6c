"""An ECR that images are really pushed to and pulled from; moto keeps its repositories and manifests."""

"""SageMaker Studio: a domain, its user profiles and its spaces, as a document that is kept true."""

"""The stack's functions in the containers of SAM CLI (`sam local`), as they were built for Lambda."""

"""SageMaker Studio: domains, user profiles, spaces, apps and lifecycle configurations, and their states.

No application runs here: an app's InService says that SageMaker would have started one.
"""

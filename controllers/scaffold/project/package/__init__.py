"""What the specs of this project name: feature transforms and the request transformer.

The whole folder is what travels to the cluster, and its contents count into the identity of whatever uses it.
"""

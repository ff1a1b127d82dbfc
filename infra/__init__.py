"""How Ironloop is run: on one machine (`local`), on a cluster (`k8s`), and its gates (`gate`)."""

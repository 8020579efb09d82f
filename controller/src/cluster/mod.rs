//! All that is asked of the API server about managed objects: identity, discovery, plan, apply, prune, inventory.

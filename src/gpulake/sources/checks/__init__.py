"""What sources doubt of deliveries that lie together: one module per source."""

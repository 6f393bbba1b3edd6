"""What NetVision is compared with: small services for the same records, each as plain as its kind allows."""

"""One small file per container kind: factories that return services and pods."""

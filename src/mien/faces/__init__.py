"""Pictures in, face crops out: ``images`` reads, ``detect`` finds, ``crop`` frames."""

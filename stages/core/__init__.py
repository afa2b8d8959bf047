"""What everything else stands on: errors, arguments, files, checksums, versions."""

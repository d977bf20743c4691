package migrations

// MissingOn is what is missing on a server of this version where all else is well.
func MissingOn(version int) []string { return ground{version: version, create: true}.missing() }

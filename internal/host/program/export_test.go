package program

// IsAlone is isAlone.
func IsAlone(folder string) bool { return isAlone(folder) }

package operate

// NextName is for the specification of the names that a redrive gives.
var NextName = nextName

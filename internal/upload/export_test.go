package upload

// OpenWithStallTimeout is Open with another StallTimeout.
var OpenWithStallTimeout = open

package build

// ContentTag is contentTag, for the tests.
var ContentTag = contentTag

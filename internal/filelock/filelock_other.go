//go:build !unix

package filelock

// create and open lock nothing: there are no such locks here.
func create(string) (release func(), err error) { return func() {}, nil }

func open(string) (release func(), err error) { return func() {}, nil }

// left finds nothing, as nothing is locked.
func left(string) (release func(), is bool) { return nil, false }

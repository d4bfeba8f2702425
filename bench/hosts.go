package main

import "context"

func smallTable(ctx context.Context, b *bench) error { return nil }
func startTable(ctx context.Context, b *bench) error { return nil }
func routeTable(ctx context.Context, b *bench) error { return nil }

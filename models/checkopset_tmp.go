package models

func (m *Model) CheckOpset(to int) error { return nil }

package models

// Histories is the table of the standard's operators.
var Histories = histories

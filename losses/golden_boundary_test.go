package losses_test

var boundaryMappings = map[string]mapping{}

var boundaryExclusions = []goldenExclusion{}

var boundaryElsewhere = []goldenExclusion{}

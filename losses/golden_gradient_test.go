package losses_test

var gradientMappings = map[string]mapping{}

var gradientExclusions = []goldenExclusion{}

var gradientElsewhere = []goldenExclusion{}

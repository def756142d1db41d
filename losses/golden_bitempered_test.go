package losses_test

var bitemperedMappings = map[string]mapping{}

var bitemperedExclusions = []goldenExclusion{}

var bitemperedElsewhere = []goldenExclusion{}

package losses_test

var ganMappings = map[string]mapping{}

var ganExclusions = []goldenExclusion{}

var ganElsewhere = []goldenExclusion{}

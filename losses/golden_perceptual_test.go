package losses_test

var perceptualMappings = map[string]mapping{}

var perceptualExclusions = []goldenExclusion{}

var perceptualElsewhere = []goldenExclusion{}

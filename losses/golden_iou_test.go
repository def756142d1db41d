package losses_test

var iouMappings = map[string]mapping{}

var iouExclusions = []goldenExclusion{}

var iouElsewhere = []goldenExclusion{}

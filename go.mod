module github.com/onnxloss/onnxloss

go 1.26

require (
	github.com/yalue/onnxruntime_go v1.36.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

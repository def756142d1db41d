// The functions of ONNX Runtime's C API that package ort needs and the binding
// lacks. Only what is used is declared: ONNX Runtime appends to its table of
// functions and never reorders it, so a function is known by its place.

#ifndef ONNXLOSS_ORT_CAPI_H
#define ONNXLOSS_ORT_CAPI_H

#include <stddef.h>
#include <stdint.h>

// Opaque objects of ONNX Runtime. A null Status is success.
typedef struct Status Status;
typedef struct Value Value;
typedef struct Session Session;
typedef struct RunOptions RunOptions;
typedef struct TypeInfo TypeInfo;
typedef struct TensorInfo TensorInfo;

// capi_version gives the version of a library by its OrtGetApiBase function.
const char *capi_version(void *get_api_base);

// capi_open keeps the table of functions; the others may be called after it. It
// returns 0 where the library does not have that version of the interface.
int capi_open(void *get_api_base, uint32_t api_version);

Status *capi_prepare(void); // once, after capi_open

int capi_error_code(Status *status);
const char *capi_error_message(Status *status);
void capi_release_status(Status *status);

Status *capi_providers(char ***names, int *count);
Status *capi_release_providers(char **names, int count);

// Inputs of the session, or its outputs where outputs is not 0. A name is a copy
// that capi_free_name frees.
Status *capi_count(Session *session, int outputs, size_t *count);
Status *capi_name(Session *session, int outputs, size_t index, char **name);
void capi_free_name(char *name);
Status *capi_type(Session *session, int outputs, size_t index, TypeInfo **info);
// tensor is null where the type is not a tensor; it lives as long as info.
Status *capi_tensor_type(TypeInfo *info, const TensorInfo **tensor);
void capi_release_type(TypeInfo *info);

Status *capi_element_type(const TensorInfo *info, int *type);
int capi_has_shape(const TensorInfo *info);
Status *capi_rank(const TensorInfo *info, size_t *rank);
Status *capi_dimensions(const TensorInfo *info, int64_t *dimensions, size_t rank);
Status *capi_symbols(const TensorInfo *info, const char **symbols, size_t rank);
void capi_release_tensor_info(TensorInfo *info);

// The tensor is a view of data, which must outlive it.
Status *capi_tensor(void *data, size_t bytes, const int64_t *shape, size_t rank, int type, Value **value);
Status *capi_string_tensor(const int64_t *shape, size_t rank, Value **value);
Status *capi_set_string(Value *value, size_t index, const char *text, size_t length);
void capi_release_value(Value *value);

// info is null where the value is not a tensor.
Status *capi_value_info(Value *value, TensorInfo **info);
Status *capi_value_data(Value *value, void **data);
Status *capi_strings_length(Value *value, size_t *bytes);
Status *capi_strings(Value *value, void *text, size_t bytes, size_t *offsets, size_t count);

// A run with these options ends soon after capi_terminate, with an error.
Status *capi_run_options(RunOptions **options);
Status *capi_terminate(RunOptions *options);
void capi_release_run_options(RunOptions *options);

// options may be null.
Status *capi_run(Session *session, const RunOptions *options,
                 const char *const *input_names, Value *const *inputs, size_t input_count,
                 const char *const *output_names, size_t output_count, Value **outputs);

#endif

package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Options as JSON are one object with the fields' names. Of what the cores are
// made with it has the numbers and the yes or no; all else is filled in by New.
// A run folder's schedule.json is this, with a Schedule.

// plainOptions is Options with the configurations as plain objects. Fields of the
// same name hide those of the embedded struct.
type plainOptions struct {
	bareOptions
	Replica map[string]any
	View    map[string]any
	Clerk   map[string]any
	Limits  map[string]any
}

type bareOptions Options

// MarshalJSON returns the options as JSON.
func (o Options) MarshalJSON() ([]byte, error) {
	return json.Marshal(plainOptions{bareOptions(o), plain(o.Replica), plain(o.View), plain(o.Clerk), plain(o.Limits)})
}

// UnmarshalJSON reads what MarshalJSON wrote. Names that no field has are errors.
func (o *Options) UnmarshalJSON(text []byte) error {
	p := plainOptions{bareOptions: bareOptions(*o)}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return err
	}
	next := Options(p.bareOptions)
	for _, part := range []struct {
		into  any
		plain map[string]any
	}{{&next.Replica, p.Replica}, {&next.View, p.View}, {&next.Clerk, p.Clerk}, {&next.Limits, p.Limits}} {
		if err := unplain(part.into, part.plain); err != nil {
			return fmt.Errorf("options of a simulation: %w", err)
		}
	}
	*o = next
	return nil
}

// plain returns the fields of a struct that are numbers or bools and not zero.
func plain(from any) map[string]any {
	fields := make(map[string]any)
	v := reflect.ValueOf(from)
	for i := range v.NumField() {
		f := v.Field(i)
		if (f.CanInt() || f.CanUint() || f.Kind() == reflect.Bool) && !f.IsZero() {
			fields[v.Type().Field(i).Name] = f.Interface()
		}
	}
	return fields
}

// unplain sets the fields of a struct.
func unplain(into any, fields map[string]any) error {
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(into).Elem()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if value, ok := raw[name]; ok {
			if err := json.Unmarshal(value, v.Field(i).Addr().Interface()); err != nil {
				return fmt.Errorf("field %s: %w", name, err)
			}
			delete(raw, name)
		}
	}
	if len(raw) > 0 {
		return fmt.Errorf("%s has no fields of these names: %v", v.Type(), fields)
	}
	return nil
}

package main

import "wasmill"

func init() {
	loop := wasmill.LoopOfMap(convert)
	loop.Run = func() {
		rows := loop.Rows
		made := loop.Made[:len(rows)]
		for row := range rows {
			made[row] = convert(rows[row])
		}
	}
}

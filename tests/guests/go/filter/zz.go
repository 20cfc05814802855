package main

import "wasmill"

func init() {
	loop := wasmill.LoopOfFilter(filter)
	loop.Run = func() {
		rows, count := loop.Rows, 0
		kept := loop.Kept[:len(rows)]
		for row := range rows {
			if filter(rows[row]) {
				kept[count] = uint32(row)
				count++
			}
		}
		loop.Kept = kept[:count]
	}
}
